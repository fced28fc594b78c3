"""Numbers of a trained network: metrics, calibration, robustness, statistics, the reference study's figures."""
