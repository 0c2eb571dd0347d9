"""The LSTM classifier: training, calibration, inference."""
