"""What the ninth migration makes: clocks that pause, acknowledging, ladders, absences, deadlines."""
