"""What is fitted once a network is trained: confidence, consensus, int8 roundings, and a temperature."""
