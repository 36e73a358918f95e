"""The collection: Milvus, and what is kept in it. Nothing outside imports pymilvus."""
