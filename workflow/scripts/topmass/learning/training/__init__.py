"""What a training is: its loop, its validation, what it shows, and the job that puts it together."""
