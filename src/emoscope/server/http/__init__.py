"""What every request meets: who may ask and how often, errors as documents, schemas, health."""
