"""The process that serves: connections, web server, workers, and what runs by the clock."""
