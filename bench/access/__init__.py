"""What asking for tokens costs, and what those feel who have one while others guess."""
