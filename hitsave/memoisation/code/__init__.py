"""What a function depends on: the code and the values of the project that it can reach, and the packages it uses."""
