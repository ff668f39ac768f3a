"""Managed ROS 2 nodes: parameters, topics, QoS, diagnostics. The only room that imports rclpy."""
