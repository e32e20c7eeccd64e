"""Decoded images in the memory of the device: kept there, drawn for, cropped and given as batches.
"""
