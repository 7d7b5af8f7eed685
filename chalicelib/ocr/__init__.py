"""Text recognition (OCR): pictures and scanned pages to text, by Tesseract."""
