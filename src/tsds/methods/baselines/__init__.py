"""What others do, with the same call and the same outputs: each a small file that names its source."""
