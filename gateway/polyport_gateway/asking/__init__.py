"""Knowledge bases as what can be called: tools and models that answer, and tools that find."""
