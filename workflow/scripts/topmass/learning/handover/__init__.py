"""How a trained network is given to others: as graphs of ONNX, with all that is done to a jet before and after."""
