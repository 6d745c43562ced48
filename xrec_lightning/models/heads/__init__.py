"""What stands on a language tower to learn a task."""
