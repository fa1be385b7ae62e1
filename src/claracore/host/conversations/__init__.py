"""Where do conversations outlive the servers that they were held with?"""
