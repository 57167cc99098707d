"""Knowledge bases as OpenAI's vector stores: whose they are, their files, and what is found in them."""
