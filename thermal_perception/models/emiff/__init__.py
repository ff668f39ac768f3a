"""EMIFF: 3D boxes from a vehicle camera and the compressed features of a roadside camera."""
