"""DICOM multi-frame (ultrasound, endoscopy, angiography): a second reader, with pydicom, for ffmpeg."""
