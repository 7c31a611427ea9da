"""What people see in Grafana: dashboards as values, and the JSON made of them."""
