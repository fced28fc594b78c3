"""Small networks of our own that find and straighten faces: how a face is turned, where faces are."""
