"""The host loop: requests on a deployment, what they take and what the kernels compute."""
