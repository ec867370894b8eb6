"""Why a layer costs what it costs: its mapping, its tiles, its bound, and what runs when."""
