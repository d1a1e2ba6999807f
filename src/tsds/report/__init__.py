"""What a person is shown of a selection: the numbers (facts), the summary on screen, the page."""
