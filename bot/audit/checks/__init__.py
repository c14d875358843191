"""What the verifier looks at; each file is one question, answered on a sheet."""
