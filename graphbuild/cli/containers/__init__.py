"""`graphbuild container`: Docker's commands on containers, with Docker's options."""
