"""What is left of a build for those who did not watch: a record of it, and the forms that CI services show."""
