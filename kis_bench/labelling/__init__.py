"""The web app in which people write labels and judge triplets, on this machine or in a lab's network."""
