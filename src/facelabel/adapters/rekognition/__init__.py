"""Amazon Rekognition as the recogniser; without numpy, a database or a network of ours."""
