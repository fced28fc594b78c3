"""Bytes -> Frame: pictures, folders, videos and cameras, each picture with its time."""
