# Makes the fleet's second Envoy of fleet.yaml: the same, with other ports.
s/port_value: 10011\}/port_value: 10012}/
s/port_value: 10013\}/port_value: 10014}/
s/port_value: 9903\}/port_value: 9904}/
s/\{id: first, /{id: second, /
