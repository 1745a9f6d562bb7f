"""What commands show and write on the terminal: tables as they fill, answers, pictures."""
