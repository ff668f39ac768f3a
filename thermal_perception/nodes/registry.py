"""The nodes of this package by the name `ros2 run` knows them under."""

NODES: dict[str, str] = {
    'fusion_detr': 'thermal_perception.nodes.fusion_detr:main',
    'simulated_cameras': 'thermal_perception.nodes.simulated_cameras:main',
}
"""Name to `module:function`; the function takes command-line arguments, returns an exit code."""
