"""What a developer's machine needs: set-up, local federation, checks. Not part of any distribution."""
