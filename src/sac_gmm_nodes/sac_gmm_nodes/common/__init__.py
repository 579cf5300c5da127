"""What nodes share: parameters, QoS, messages, life cycle. No node lives here."""
