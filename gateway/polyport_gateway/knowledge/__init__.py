"""Knowledge: any file becomes one document, and a document is cut for retrieval."""
