"""Amazon Rekognition's wire format: names, constraints, signatures, faces. No input or output."""
