"""The local face engine: model packs, decoding, detection, alignment, embedding, quality.

Everything runs in this process on ONNX Runtime; nothing here knows of collections or names.
"""
