"""The protocols: bytes in → `Call`; events out → bytes. No logic of their own."""
