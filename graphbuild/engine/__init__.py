"""Images and containers as Docker's engine has them, without a daemon: what is kept under a name, and lives on."""
