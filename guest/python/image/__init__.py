"""The application in the wasm image: what runs once before the snapshot, and the function that a sandbox exports."""
