"""What all districts share: emotions, errors, types, files, times as users write them."""
