"""What a request brings: images, prompts, chat templates, tokens, and how they are chosen."""
