"""Frame -> faces, found and read: detection, crops, networks and their calibration."""
