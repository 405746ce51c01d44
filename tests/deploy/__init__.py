"""What is deployed: the cluster of docker-compose.yml, and every file that describes one."""
