"""Run graphs of ONNX by the onnxruntime that this Python finds, and print its version; for Python 3.10 and later.

    python run_graphs.py FOLDER OUT

FOLDER has graphs, *.onnx, and their inputs under the same names, *.npz. The last output of each goes to OUT: of all
jets together, and of each alone.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

folder, out = map(Path, sys.argv[1:])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
for graph in sorted(folder.glob("*.onnx")):
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    inputs = dict(np.load(graph.with_suffix(".npz")))
    jets = len(next(iter(inputs.values())))
    each_alone = ({name: value[jet : jet + 1] for name, value in inputs.items()} for jet in range(jets))
    for how, parts in (("together", [inputs]), ("alone", each_alone)):
        found = [session.run(None, part)[-1] for part in parts]
        np.save(out / f"{graph.stem}-{how}.npy", np.concatenate(found))
print(onnxruntime.__version__)
