"""One phase a file: order in, evidence out."""
