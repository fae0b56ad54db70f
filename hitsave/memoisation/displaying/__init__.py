"""What a call was given and gave, described for people and for programs that run no code of others."""
