"""Scoring of detections: COCO metrics of data sets and bags, precision and recall."""

from thermal_perception.evaluation.coco import ClassMetrics, CocoScorer, DetectionMetrics

__all__ = ['ClassMetrics', 'CocoScorer', 'DetectionMetrics']
