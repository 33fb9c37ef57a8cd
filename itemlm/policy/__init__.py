"""What a service logged, judged honestly: models side by side, and models that were never shown."""
