"""What a release needs: all that depends on a shipped model, made again (`release.models`)."""
